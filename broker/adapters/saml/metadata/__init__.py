"""The metadata of upstreams and services: files, signed feeds, and what an entity's descriptor says."""
