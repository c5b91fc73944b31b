/* belfryd: builds the house, runs the loop, takes it down. */
int main(void)
{
    return 0;
}
