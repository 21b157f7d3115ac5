"""OOBM driver that switches power with a program of the operator's."""
