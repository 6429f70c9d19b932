"""The in-silico trial: simulator and monitor joined by a faulty wire, scored against the truth.

    draw.py      patients, their days, and the hazards planted on them (hazards.py, plant/)
    wire.py      what is lost, late and out of order between a pump and the monitor
    run.py       one block of patients in virtual time; pool.py spreads blocks over processes
    truth.py     what really went on, minute by minute; conditions.py names it
    signs.py     the first message that could have shown a hazard
    explain.py   which causes explain which alert
    score.py     pure: from all that to sensitivity, delay, false alerts
    baselines.py what the monitor is compared with
    report.py    terminal and Markdown; page.py and pictures.py a page; timeline.py one case

docs/detection.md says what each number means. A simulation, not evidence about patients.
"""
