"""A gateway without network, in virtual time, against scripted upstreams: what `omniroute test` runs."""
