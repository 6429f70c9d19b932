"""The clinic of simulated patients: laboratory, prescriber and nurse.

clinic.py is where to begin.
"""
