#!/bin/sh
# Install here what the servers need, such as a compiler.
