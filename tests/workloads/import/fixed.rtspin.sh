#!/bin/bash
# Three partitioned tasks under fixed priorities, released together.
setsched P-FP
rtspin -w -p 1 -q 1 1 10 30 &
rtspin -w -p1 -q 5 -d 40 -o 2.5 -s 1.0 \
       12.5 50 30 &
./rtspin -wv -p 2 -q 5 20 100 30 > spin.log 2>&1 &
sleep 1
release_ts -f 3
wait
