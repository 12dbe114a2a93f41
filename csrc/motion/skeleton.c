/* The tables of skeleton.h. */
#include "motion/skeleton.h"

const Bone skeleton_bone[SKELETON_BONES] = {
    {0, 1, .16f},   {1, 2, .15f},   {2, 3, .12f},   {3, 4, .10f},   {5, 6, .10f},   {6, 7, .09f},
    {7, 8, .08f},   {9, 10, .10f},  {10, 11, .09f}, {11, 12, .08f}, {13, 14, .10f}, {14, 15, .09f},
    {15, 16, .08f}, {17, 18, .09f}, {18, 19, .08f}, {19, 20, .07f}, {0, 5, .12f},   {0, 17, .12f},
    {1, 5, 0},      {5, 9, .10f},   {9, 13, .10f},  {13, 17, .10f},
};

const int skeleton_palm[SKELETON_PALM] = {0, 1, 5, 9, 13, 17};
