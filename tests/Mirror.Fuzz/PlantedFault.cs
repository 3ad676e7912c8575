namespace Mirror.Fuzz;

/// <summary>A parser with a fault behind eight compared characters: only a fuzzer that sees how far an input came gets there.</summary>
internal static class PlantedFault
{
    public const string Name = "planted-fault";

    public static void Parse(string text)
    {
        if (text.Length > 7 && text[0] == 'm' && text[1] == 'i' && text[2] == 'r' && text[3] == 'r' && text[4] == 'o' && text[5] == 'r'
            && text[6] == '\n' && text[7] == '7')
            throw new InvalidOperationException("The planted fault.");
    }
}
