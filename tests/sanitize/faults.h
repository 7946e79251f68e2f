inline int through_pointer(const int *list, int at)
{
    return list[at];  // line 3
}
