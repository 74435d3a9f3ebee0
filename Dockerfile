# Two images from one file: `coordinator` (the default; web, worker, beat, migrations, or all of them by `up`) and
# `agent`, which has no Django. Built by `make build-backend` and `make build-agent`.
FROM python:3.11-slim-trixie AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# Without pip in what is shipped: the image's own installs into the other environment.
RUN python -m venv --without-pip /opt/flxdr

FROM packages AS agent-packages
COPY requirements/agent.txt agent.txt
RUN python -m pip --python /opt/flxdr/bin/python install --require-hashes --requirement agent.txt

FROM packages AS coordinator-packages
COPY requirements/coordinator.txt coordinator.txt
RUN python -m pip --python /opt/flxdr/bin/python install --require-hashes --requirement coordinator.txt

FROM python:3.11-slim-trixie AS runtime
RUN groupadd --gid 10001 flxdr \
 && useradd --uid 10001 --gid flxdr --no-create-home --home-dir /data --shell /usr/sbin/nologin flxdr \
 && install --directory --owner flxdr --group flxdr --mode 0750 /data /run/flxdr
WORKDIR /app
ENV PATH=/opt/flxdr/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1
VOLUME /data

FROM runtime AS agent
COPY --from=agent-packages /opt/flxdr /opt/flxdr
COPY federation /app/federation
COPY flxdr /app/flxdr
COPY ledger /app/ledger
COPY models_ml /app/models_ml
COPY privacy /app/privacy
ENV FLXDR_AGENT_HOME=/data
USER 10001:10001
ENTRYPOINT ["python", "-m", "federation.agent"]
CMD ["run"]

FROM runtime AS coordinator
# `manage.py backup` calls pg_dump, which must not be older than the server.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client-17 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=coordinator-packages /opt/flxdr /opt/flxdr
COPY . /app
ENV DJANGO_SETTINGS_MODULE=flxdr.settings \
    FL_DATA_DIR=/data \
    FL_HEARTBEAT_FILE=/tmp/flxdr-alive \
    BACKEND_HOST=0.0.0.0 \
    BACKEND_PORT=8000
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "deploy/healthcheck.py", "web"]
CMD ["python", "manage.py", "up"]
