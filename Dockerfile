# The image that Kamal runs. Nothing is run for a foreign platform, so that
# both are built without emulation:
#   docker buildx build --platform linux/amd64,linux/arm64 .

# Alpine: the binary is static and needs no libc, so the smallest base that
# still gives people a shell for `docker exec -it kamal-proxy sh` will do.
FROM alpine:3.23 AS base

FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY *.go ./
COPY actors ./actors
COPY cli ./cli
COPY transport ./transport
ARG VERSION=dev
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X kamal-proxy/cli.Version=$VERSION" -o /image/bin/kamal-proxy .

# uid and gid 1001 are those of the files in volumes that are already in use. A
# new volume takes its owner and mode from the folder it is mounted on.
COPY --from=base /etc/passwd /etc/group /image/etc/
RUN echo "kamal-proxy:x:1001:1001::/home/kamal-proxy:/bin/sh" >> /image/etc/passwd && \
    echo "kamal-proxy:x:1001:" >> /image/etc/group && \
    mkdir -p -m 0700 /image/home/kamal-proxy/.config/kamal-proxy

FROM base
ARG VERSION=dev
# Kamal finds the containers and images to remove by their title.
LABEL org.opencontainers.image.title=kamal-proxy \
      org.opencontainers.image.version=$VERSION
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /image/etc/ /etc/
COPY --from=build --chown=1001:1001 /image/home/ /home/
COPY --from=build /image/bin/ /usr/local/bin/
ENV HOME=/home/kamal-proxy
USER kamal-proxy:kamal-proxy
EXPOSE 80 443 443/udp
# No ENTRYPOINT: Kamal gives the whole command, or none.
CMD ["kamal-proxy", "run"]
