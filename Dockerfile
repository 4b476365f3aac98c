# The image of the operator, of agents and of the command line: `vapora operator`, `vapora agent run`, `vapora workflow`.
# BASE must bring Python 3.11 or newer as /usr/local/bin/python, the same in both stages.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Without pip of its own; the one beside it fills it.
RUN python -m venv --without-pip /opt/vapora
COPY requirements.lock ./
RUN pip --python /opt/vapora/bin/python install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN pip wheel --no-deps --wheel-dir /dist . \
    && pip --python /opt/vapora/bin/python install --no-deps --no-index --compile /dist/*.whl

FROM ${BASE}
RUN pip uninstall --yes --quiet pip \
    && groupadd --gid 1000 vapora \
    && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vapora
COPY --from=build /opt/vapora /opt/vapora
ENV PATH=/opt/vapora/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /
EXPOSE 8080
# For Docker alone; Kubernetes has its own probes. No curl is in the image, and none is needed.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
ENTRYPOINT ["vapora"]
CMD ["--help"]
