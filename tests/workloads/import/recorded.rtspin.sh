# Execution times of a recording: the decoder repeats four frames, the sensor is constant.
rtspin -w -C times.csv:2 -s 1 4 10 1 &
rtspin -C times.csv -s 0.5 2 10 &
rtspin -w 3 "25" 1
