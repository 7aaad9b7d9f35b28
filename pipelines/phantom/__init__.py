"""Drawn chest radiographs: `cohort` says who is examined, `draw_phantom` takes the picture.

record     the ground truth of one image
cohort     records that occur together as in a hospital
canvas     the plane of the detector: centimetres to pixels, and the shapes laid on it
body       the measures of one patient in one position
soft_tissue, skeleton, devices     thickness maps of the parts
lesions    thickness maps of the findings, with their masks
detector   attenuation to grey values, as one of two scanners would
draw       all of it together

Lengths are centimetres of an adult's chest; a child is the same plan with other proportions, and `Body.size` scales
the thickness that the X-rays cross. The origin is the midline at the height of the lungs' apices; x grows towards the
patient's left, which is the right of the image, and y towards the feet.
"""
