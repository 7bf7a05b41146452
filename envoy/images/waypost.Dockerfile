# The control plane. Build it from the root of the repository:
#   docker build -f envoy/images/waypost.Dockerfile -t waypost:dev .
# It runs as an ordinary user and writes nothing but /var/lib/waypost, so it can be run read-only.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY translators translators
COPY xds_server xds_server
COPY examples examples
RUN python -m venv /opt/waypost \
 && /opt/waypost/bin/pip install --no-cache-dir --constraint constraints.txt ".[validation]"

FROM python:3.11-slim
COPY --from=build /opt/waypost /opt/waypost
# New named volumes that are mounted here take over the owner.
RUN install -d -o 65532 -g 65532 -m 0700 \
    /var/lib/waypost /var/lib/waypost/ca /var/lib/waypost/bootstrap /var/lib/waypost/client
ENV PATH=/opt/waypost/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WAYPOST_CA_DIR=/var/lib/waypost/ca
USER 65532:65532
ENTRYPOINT ["waypost"]
CMD ["--help"]
