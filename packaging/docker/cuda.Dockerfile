# docker build -f packaging/docker/cuda.Dockerfile -t llama-box:cuda .
# docker run --gpus all -p 8080:8080 -v /path/to/models:/models:ro llama-box:cuda -m /models/MODEL.gguf
#
# The plug-in for CUDA is built where nvcc is found. NVIDIA packages its toolkit for Debian 12 in a
# repository of its own; the driver's libraries come from the host (nvidia-container-toolkit).
FROM debian:12-slim AS build
ARG CUDA=12-8
ADD https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb /tmp/
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && dpkg -i /tmp/cuda-keyring_1.1-1_all.deb \
    && apt-get update \
    && apt-get install -y --no-install-recommends cuda-nvcc-${CUDA} cuda-cudart-dev-${CUDA} libcublas-dev-${CUDA} \
    && rm -rf /var/lib/apt/lists/*
ENV PATH=/usr/local/cuda/bin:$PATH
WORKDIR /src
COPY . .
RUN packaging/build tarball \
    && mkdir /opt/llama-box \
    && tar -C /opt/llama-box --strip-components=1 -xzf build/release/packages/llama-box-*.tar.gz \
    && cp -a /usr/local/cuda/lib64/libcublasLt.so.* /opt/llama-box/lib/llama-box/

FROM debian:12-slim
COPY --from=build /opt/llama-box /opt/llama-box
USER 65534:65534
ENV PATH=/opt/llama-box/bin:$PATH \
    LLAMA_ARG_HOST=0.0.0.0 LLAMA_ARG_PORT=8080 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$LLAMA_ARG_PORT && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["llama-box"]
