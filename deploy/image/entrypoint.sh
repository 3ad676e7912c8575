#!/bin/sh
# As in registry:2's image: a configuration file or a verb of the program is given to the program, and anything else is run as it is.
set -e
case "$1" in
    *.yml | *.yaml) set -- registry serve --drop-root "$@" ;;
    serve) shift; set -- registry serve --drop-root "$@" ;;
    check-config | clients | garbage-collect | health | help | htpasswd | verify | -*) set -- registry "$@" ;;
esac
exec "$@"
