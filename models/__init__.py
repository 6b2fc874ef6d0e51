"""The families of generative models: one file each. A trainer is a generator of events."""
