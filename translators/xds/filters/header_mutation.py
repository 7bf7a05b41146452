"""Headers that the proxy itself writes, over whatever the client wrote there."""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import (
    HeaderMutation,
    HeaderMutationPerRoute,
    Mutations,
)
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy_data_plane.envoy.extensions.http.original_ip_detection.custom_header.v3 import (
    CustomHeaderConfig,
)

from translators.ir.route import HeaderEdit
from translators.wire import pack, shared
from translators.xds.filters.menu import Armed, Filter
from translators.xds.header import additions, editable
from translators.xds.names import LOCAL_PRINCIPAL, PEER_PRINCIPAL, SOURCE_HEADER


def armed_edit(edit: HeaderEdit) -> Armed:
    """Changes that a route makes to the headers of a request before anything looks at it."""
    mutations = [
        *(Mutation(append=option) for option in additions(edit)),
        *(Mutation(remove=name) for name in editable(edit.remove)),
    ]
    made = HeaderMutationPerRoute(mutations=Mutations(request_mutations=mutations))
    return Armed(Filter.EARLY_HEADERS, made)


def client_identity() -> HeaderMutation:
    """Tells the destination who called whom, as ``x-forwarded-client-cert``."""
    value = f"By=%FILTER_STATE({LOCAL_PRINCIPAL}:PLAIN)%;URI=%FILTER_STATE({PEER_PRINCIPAL}:PLAIN)%"
    mutation = _overwrite("x-forwarded-client-cert", value)
    return HeaderMutation(mutations=Mutations(request_mutations=[mutation]))


@shared
def note_source() -> TypedExtensionConfig:
    """Writes the tunnel's client address down, before anyone reads ``x-forwarded-for``."""
    mutation = _overwrite(SOURCE_HEADER, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
    return TypedExtensionConfig(
        name="note_source", typed_config=pack(EarlyHeaderMutation(mutations=[mutation]))
    )


@shared
def source_from_note() -> TypedExtensionConfig:
    """Makes that address the client's, whatever ``x-forwarded-for`` says."""
    return TypedExtensionConfig(
        name="source_from_note",
        typed_config=pack(CustomHeaderConfig(header_name=SOURCE_HEADER)),
    )


def _overwrite(name: str, value: str) -> Mutation:
    return Mutation(
        append=HeaderValueOption(
            header=HeaderValue(key=name, value=value),
            append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
        )
    )
