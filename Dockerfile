# The whole logger in one container: supervisord and every stage, data under /data.
#
#   docker build -t order-book-logger .
#   docker run -d --name obl -v obl-data:/data --stop-timeout 90 order-book-logger
#   docker exec obl obl status

FROM python:3.11.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# for the hot loops
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
# the locked packages first: they change more seldom than the code
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/obl && /opt/obl/bin/pip install --require-hashes -r requirements.lock
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r requirements-dev.lock
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation -w /dist . \
    && /opt/obl/bin/pip install --no-deps --no-index /dist/*.whl \
    && cp supervisord.conf /opt/obl/supervisord.conf

FROM python:3.11.11-slim-bookworm
RUN groupadd --gid 10001 obl \
    && useradd --uid 10001 --gid obl --home-dir /data --no-create-home --shell /usr/sbin/nologin obl \
    && install -d -o obl -g obl -m 0750 /data
COPY --from=build /opt/obl /opt/obl
ENV PATH=/opt/obl/bin:$PATH DATA_DIR=/data PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
# control answers: what the exchanges or the database do is `obl status`, and no reason for a restart
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["obl", "ping"]
# obl-run checks the settings and execs supervisord, which so gets the container's signals itself
ENTRYPOINT ["obl-run", "--conf", "/opt/obl/supervisord.conf"]
