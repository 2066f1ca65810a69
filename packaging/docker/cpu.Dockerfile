# docker build -f packaging/docker/cpu.Dockerfile -t llama-box:cpu .
# docker run -p 8080:8080 -v /path/to/models:/models:ro llama-box:cpu -m /models/MODEL.gguf
FROM debian:12-slim AS build
WORKDIR /src
COPY . .
RUN packaging/build deb

FROM debian:12-slim
COPY --from=build /src/build/release/packages/*.deb /tmp/
RUN apt-get update \
    && apt-get install -y --no-install-recommends /tmp/llama-box_*.deb \
    && rm -rf /var/lib/apt/lists/* /tmp/*.deb
USER 65534:65534
ENV LLAMA_ARG_HOST=0.0.0.0 LLAMA_ARG_PORT=8080
EXPOSE 8080
# Ready when the model is loaded. bash opens the socket itself: there is no curl in here.
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$LLAMA_ARG_PORT && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["llama-box"]
