# syntax=docker/dockerfile:1
# One image for every target: `hub serve --only orders`, or `hub up` for everything in one process.
#
# tests/image/check runs these steps without a container engine; keep to FROM, ARG, ENV, WORKDIR, COPY, RUN, USER,
# EXPOSE, VOLUME and ENTRYPOINT.

FROM docker.io/library/rust:1.95-bookworm AS build
ARG PROFILE=dist
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs clippy.toml ./
COPY .cargo .cargo
COPY proto proto
COPY mesh mesh
COPY gateway gateway
COPY services services
COPY tests tests
RUN cargo build --locked --profile "$PROFILE" --bin hub
RUN mkdir -p /out/data && cp "${CARGO_TARGET_DIR:-target}/$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE")/hub" /out/hub

# glibc, libgcc and certificates, and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/hub /usr/local/bin/hub
COPY --from=build --chown=65532:65532 /out/data /data
ENV HUB_DATA_DIR=/data
WORKDIR /data
USER 65532:65532
VOLUME /data
EXPOSE 8080 9090
ENTRYPOINT ["/usr/local/bin/hub"]
