# A short task beside a long one; the deadline decides, since no priority is given.
sudo /opt/litmus/bin/rtspin -c srt -e 2 20 10 ; rtspin 5 8 1.5 & rtspin -T -o 100 --  1 1000 10
