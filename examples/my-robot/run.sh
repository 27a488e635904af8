pip install -e my-robot/
dp-bench list
python -m my_robot.slide slide.hdf5
dp-bench demos check slide.hdf5
dp-bench compare --task slide --methods linear dp_c --preset smoke --demos slide.hdf5
