# Runs one Kafka node, passes signals on to it, and never lets it outlive the process that
# wanted it.
#
# usage:   sh -c "$(cat watchdog.sh)" watchdog CLUSTER_FOLDER LOG_FILE COMMAND...
# stdin:   signal names, one a line, sent to the command. The end of stdin means that the process
#          holding the other end of the pipe is gone: the command is killed, the folder removed.
# stdout:  one line, the process id of the command.
# status:  the command's, 128 + N when signal N ended it.

folder=$1
log=$2
shift 2

# A background job of a script has /dev/null as its stdin, so the pipe moves to 3. The command
# must not hold it: it has no use for it.
exec 3<&0 </dev/null
"$@" 3<&- >>"$log" 2>&1 &
command=$!

(
    while read -r signal <&3; do
        kill -s "$signal" "$command"
    done
    # From here on the script below waits for this job to end well, and must not end it.
    trap '' TERM
    kill -s KILL "$command"
    exit 0
) >/dev/null 2>>"$log" &
listener=$!

echo "$command"
exec >&- 2>>"$log"

wait "$command"
status=$?
kill -s TERM "$listener" 2>/dev/null
if wait "$listener" 2>/dev/null; then
    # Every node's script does this when its own node is dead, so the last one finds nobody
    # writing any more.
    if [ -e "$folder/keep" ]; then rm -rf "$folder/data"; else rm -rf "$folder"; fi
fi
exit "$status"
