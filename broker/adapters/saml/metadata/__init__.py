"""The metadata of upstreams and services: files, signed feeds, and the descriptors in them."""
