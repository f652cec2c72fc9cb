"""The graders: one module for each lesson (``lesson_01``) or lab (``lab_01``).

A public function is the grader of the task that bears its name. It takes the submission and a
freshly seeded ``numpy.random.Generator`` and returns a ``Verdict``; see ``helpers``. Plain data
arrive as they are, a function or class as a ``sandbox.Remote``: what is done to an argument stays
in the submission's process, so ask for what is returned. A grader marked ``kernel_task`` gets a
kernel to interpret, made from its text: see ``kernels``.
"""
