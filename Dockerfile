# One binary in an image with nothing else: docker build -t meshgate .
FROM node:22-bookworm-slim AS build
WORKDIR /build
COPY .bun-version package.json bun.lock bunfig.toml tsconfig.json ./
COPY scripts scripts
RUN sh scripts/install-bun.sh && .tools/bun install --frozen-lockfile --ignore-scripts
COPY migrations migrations
COPY src src
RUN .tools/bun scripts/build.ts && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/dist/meshgate /usr/local/bin/meshgate
COPY --from=build --chown=nonroot:nonroot --chmod=0700 /data /data
# The working directory is the volume: a .env there is read, and written at the first start in development.
WORKDIR /data
ENV HOST=0.0.0.0 PORT=8080 BRIDGE_HOST=0.0.0.0 BRIDGE_PORT=8081 DATA_DIR=/data
VOLUME /data
# Clients come to 8080; 8081 is for bridges and homeservers, and to be published to nobody.
EXPOSE 8080 8081
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["meshgate", "healthcheck"]
ENTRYPOINT ["meshgate"]
CMD ["serve"]
