# The whole exchange in one image. `docker build -t jishi .`, then `docker run -p 127.0.0.1:8080:8080 -v data:/data jishi`.

# The pages that the gateway embeds.
FROM node:22-bookworm-slim AS web
WORKDIR /build/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci
COPY web ./
RUN npm run build

# The program. This image's Debian release is the run-time image's too, or the C library would not match.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
COPY --from=web /build/web/dist web/dist
# The caches keep the dependencies from one build to the next. They are not part of the layer, so the program is copied out of
# them. Always the whole workspace: one package alone would get other features of its dependencies.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --workspace --bins --locked && cp target/release/jishi /usr/local/bin/jishi

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="jishi" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin jishi \
    && install -d -o jishi -g jishi -m 0750 /data
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/jishi /usr/local/bin/jishi
COPY LICENSE /usr/share/doc/jishi/LICENSE
# The embedded database and the search index lie under ./data, which is /data from here.
WORKDIR /
VOLUME /data
USER 10001:10001
# Loopback, the default, would reach nobody outside the container.
ENV JISHI_HTTP_LISTEN=0.0.0.0:8080
EXPOSE 8080 7000
ENTRYPOINT ["jishi"]
CMD ["serve"]
