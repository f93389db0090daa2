"""`--explain`: explains a run step by step to a learner, in English or Chinese."""
