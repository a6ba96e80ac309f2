FROM node:22-slim
RUN curl https://example.com/install | sh
