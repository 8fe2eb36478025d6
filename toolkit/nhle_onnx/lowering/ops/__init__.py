"""Operators by family, one small function each, named as in `lowering.operators`.

They are written for tensors. While a module is recorded a `torch.fx` proxy stands in for each
tensor that is only known at run time; `lowering.node` has what must be constant, and `recorded`
for what must be one step.
"""
