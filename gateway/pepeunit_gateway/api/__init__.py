"""HTTP only: declared routes, request and response models, the OpenAPI document and its page."""
