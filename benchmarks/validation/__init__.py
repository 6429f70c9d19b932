"""The simulator beside what was published: `python -m benchmarks.validation`.

It makes docs/validation.md. Each part (flow, occlusion, device, alarms, blood, cohort) measures
what the shipped profiles and patients do and puts it beside a published number, its source and its
mark. A row has an accept band and passes or fails, or it has none and is only shown. What is from
memory [M] judges nothing.
"""
