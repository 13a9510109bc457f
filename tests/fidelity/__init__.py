"""Proof of translation: real recordings behind the gateway, the official SDKs in front of it, meaning compared.

Nothing here shares code with `omniroute.wire`: what an answer means is read by the providers' documents alone.
"""
