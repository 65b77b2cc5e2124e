#!/bin/sh
# Runs in qubes.PostInstall: notes that it ran.
date +%s.%N >> /var/log/post-install
