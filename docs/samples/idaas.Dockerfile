# The program `idaas` in an image without a distribution; a service of your own is built likewise. From the repository:
# docker build -f docs/samples/idaas.Dockerfile -t idaas .
FROM rust:1.88-alpine AS build
RUN apk add --no-cache build-base ca-certificates && mkdir /idaas
WORKDIR /build
COPY . .
# Rust on Alpine builds for musl: the program needs no library beside it.
RUN cargo build --release --locked -p tower-idaas-cli

FROM scratch
# The authorities that TLS trusts.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# For `emulate --dir`.
COPY --from=build --chown=65532:65532 /idaas /idaas
COPY --from=build /build/target/release/idaas /usr/local/bin/idaas
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/idaas"]
