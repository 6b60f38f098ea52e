"""Supernets: estimators of gradients by architecture, learners, training, recalibration, the objective over them."""
