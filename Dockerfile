# The coordinator. Built by `make build-backend`; one image runs web, worker, beat, or all of them (`up`).
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/flxdr
COPY requirements/coordinator.txt /tmp/coordinator.txt
RUN /opt/flxdr/bin/pip install --require-hashes --requirement /tmp/coordinator.txt

FROM python:3.11-slim
RUN groupadd --gid 10001 flxdr \
 && useradd --uid 10001 --gid flxdr --no-create-home --home-dir /data --shell /usr/sbin/nologin flxdr \
 && install --directory --owner flxdr --group flxdr --mode 0750 /data
COPY --from=build /opt/flxdr /opt/flxdr
COPY . /app
WORKDIR /app
ENV PATH=/opt/flxdr/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=flxdr.settings \
    FL_DATA_DIR=/data \
    BACKEND_HOST=0.0.0.0 \
    BACKEND_PORT=8000
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "deploy/healthcheck.py"]
CMD ["python", "manage.py", "up"]
