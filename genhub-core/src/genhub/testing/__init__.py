"""Tests that plugins inherit: one class per kind of driver, communicators included."""
