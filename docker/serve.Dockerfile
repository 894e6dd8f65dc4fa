# The server, without torch: docker build -f docker/serve.Dockerfile -t carpus-serve .
# docker run -p 8000:8000 -v ./weights:/models:ro carpus-serve --model /models/u2netp.onnx

FROM python:3.11-slim AS packages
WORKDIR /build
COPY requirements-serve.txt .
# With ONNXRUNTIME=onnxruntime-gpu[cuda,cudnn]==1.31.1 networks are computed by a GPU.
ARG ONNXRUNTIME=""
RUN python -m venv /opt/carpus \
    && /opt/carpus/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check -r requirements-serve.txt \
    && if [ -n "$ONNXRUNTIME" ]; then \
         /opt/carpus/bin/pip uninstall -y onnxruntime \
         && /opt/carpus/bin/pip install --no-cache-dir --no-compile "$ONNXRUNTIME"; \
       fi \
    && /opt/carpus/bin/pip uninstall -y pip setuptools \
    && find /opt/carpus -type d -name tests -prune -exec rm -rf {} +

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home carpus \
    && install -d -o carpus /var/cache/carpus
COPY --from=packages /opt/carpus /opt/carpus
WORKDIR /app
COPY LICENSE serve.py ./
COPY configs configs
COPY data data
COPY runtime runtime
COPY transform transform
COPY utils utils
COPY web web
# Compiled kernels are kept there.
ENV NUMBA_CACHE_DIR=/var/cache/carpus HOME=/var/cache/carpus PYTHONUNBUFFERED=1
USER carpus
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["/opt/carpus/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["/opt/carpus/bin/python", "serve.py", "--host", "0.0.0.0"]
