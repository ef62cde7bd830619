"""Fits: schedules of optimiser steps on fresh points, and the way from one problem to another."""
