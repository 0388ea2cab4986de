# Another base: docker build --build-arg BASE=registry.example.com/python:3.13-slim .
# It needs Python 3.11 or newer as `python`, with venv and pip.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# What is pinned changes less often than the sources: its layers are made anew only when it does.
COPY deploy/requirements.txt deploy/requirements-build.txt deploy/
RUN ["python", "-m", "venv", "--without-pip", "/opt/tollbell"]
RUN ["pip", "--python=/opt/tollbell/bin/python", "install", "--require-hashes", "--only-binary=:all:", "--requirement=deploy/requirements.txt"]
RUN ["pip", "install", "--require-hashes", "--only-binary=:all:", "--requirement=deploy/requirements-build.txt"]
COPY . .
RUN ["pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir=/dist", "."]
RUN ["pip", "--python=/opt/tollbell/bin/python", "install", "--no-deps", "--no-index", "--find-links=/dist", "tollbell"]

FROM ${BASE}
LABEL org.opencontainers.image.title="tollbell" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tollbell /opt/tollbell
ENV PATH=/opt/tollbell/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TOLLBELL_HTTP_LISTEN=0.0.0.0:8080
# By number, so that Kubernetes' runAsNonRoot can see that it is not root. Nothing is written: the root may be read-only.
USER 10001:10001
WORKDIR /
EXPOSE 8080
# Of port 8080: with another TOLLBELL_HTTP_LISTEN, or an orchestrator with probes of its own, switch it off.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["tollbell"]
CMD ["run"]
