"""What a stack is at: looked at from every side at once, and compared.

gather.py   asks hosts and the EC2 API    told.py     what a host may say at all
seen.py     what they said                compare.py  what disagrees (pure)
show.py     for people and scripts        wait.py     until nothing is wrong
"""
