"""Comparisons under equal budgets: strategies times seeds, audits of proxies, networks trained side by side."""
