#!/bin/sh
# For slurm.conf: Epilog=/etc/slurm/epilog.d/longhaul.sh. slurmd runs it as root on each node of a job that is over;
# what the job's training program logged in the 20 ms before it was killed is then in the run's log, wherever the run
# goes on. A job script that outlives its program can do the same: `srun .. train ..; srun longhaul-streamer drain`.
# Ends with 0 whatever happens: on any other code Slurm takes the node out of service.
streamer=${LONGHAUL_STREAMER:-longhaul-streamer}
[ -n "$SLURM_JOB_USER" ] || exit 0
said=$(timeout 60 runuser -u "$SLURM_JOB_USER" -- "$streamer" drain 2>&1) && exit 0
logger -t longhaul "drain after job $SLURM_JOB_ID: $said" 2>/dev/null
exit 0
