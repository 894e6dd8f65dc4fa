# Training: docker build -f docker/train.Dockerfile -t carpus-train .
# docker run --gpus all -v ./datasets:/app/datasets -v ./runs:/app/runs carpus-train train.py --config configs/base_train.yaml

FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
# The wheels of torch bring CUDA. Compilers are not needed.
RUN python -m venv /opt/carpus \
    && /opt/carpus/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
RUN useradd --create-home --uid 10001 carpus \
    && install -d -o carpus /app/datasets /app/runs /app/weights
COPY --chown=carpus . .
ENV PYTHONUNBUFFERED=1 NO_ALBUMENTATIONS_UPDATE=1
USER carpus
ENTRYPOINT ["/opt/carpus/bin/python"]
CMD ["train.py", "--help"]
