"""Operators by family, one small function each, named as in `lowering.operators`.

They are written for tensors. While a module is recorded, a `torch.fx` proxy stands for each tensor
that is known only at run time. `lowering.node` has helpers for values that must be constant, and
`recorded` for functions that must be one step.
"""
