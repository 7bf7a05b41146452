"""Reading GatewayClass and Gateway."""

from translators.resources.gateway import (
    Gateway,
    GatewayClass,
    GatewayListener,
    Infrastructure,
    ParametersRef,
)
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.parsing.metadata import read_label_selector, read_named_account

_SERVICE_ACCOUNT = "gateway.istio.io/service-account"


def read_gateway_class(root: Fields, meta: Metadata) -> GatewayClass:
    """A GatewayClass."""
    return GatewayClass(meta, root.within("spec").required("controllerName"))


def read_gateway(root: Fields, meta: Metadata) -> Gateway:
    """A Gateway with the addresses that its status reports."""
    spec, status = root.within("spec"), root.within("status")
    return Gateway(
        meta,
        class_name=spec.required("gatewayClassName"),
        listeners=spec.each("listeners", bounds.LISTENERS, _read_listener),
        addresses=status.each(
            "addresses",
            bounds.LISTENERS,
            lambda entry: (entry.text("type", "IPAddress"), entry.required("value")),
        ),
        service_account=read_named_account(root.within("metadata"), _SERVICE_ACCOUNT, meta.name),
        infrastructure=spec.part("infrastructure", _read_infrastructure) or Infrastructure(),
        wants_addresses=bool(spec.raw("addresses")),
        terminating=root.within("metadata").raw("deletionTimestamp") is not None,
    )


def _read_infrastructure(fields: Fields) -> Infrastructure:
    return Infrastructure(
        labels=fields.table("labels"),
        annotations=fields.table("annotations", bounds.ANNOTATION),
        parameters=fields.part("parametersRef", _read_parameters),
    )


def _read_parameters(fields: Fields) -> ParametersRef:
    group = fields.text("group")
    return ParametersRef(group, fields.required("kind"), fields.required("name"))


def _read_listener(fields: Fields) -> GatewayListener:
    namespaces = fields.within("allowedRoutes").within("namespaces")
    return GatewayListener(
        name=fields.required("name"),
        port=fields.port(),
        protocol=fields.required("protocol"),
        allowed_from=namespaces.text("from", "Same"),
        allowed_selector=namespaces.part("selector", read_label_selector),
    )
