"""From untyped manifests to typed values and problems; bounded, and without exceptions."""
