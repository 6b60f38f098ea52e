"""Chains of inverted bottlenecks: the spaces of ProxylessNAS and of Once-for-All."""
