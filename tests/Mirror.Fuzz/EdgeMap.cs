using System.Reflection;
using System.Runtime.InteropServices;

namespace Mirror.Fuzz;

/// <summary>
/// Where instrumented code counts the edges that it takes. Such code cannot run without a map; afl-fuzz brings its own. By reflection: an
/// assembly that names SharpFuzz's class counts as instrumented, and the planted fault here must be.
/// </summary>
internal static unsafe class EdgeMap
{
    private const int Size = 1 << 16;

    private static readonly byte* Map = (byte*)NativeMemory.AllocZeroed(Size);
    private static readonly Type Trace = Type.GetType("SharpFuzz.Common.Trace, SharpFuzz.Common", throwOnError: true)!;

    /// <summary>Gives a map of this process to instrumented code.</summary>
    public static void Use() => Trace.GetField("SharedMem")!.SetValue(null, Pointer.Box(Map, typeof(byte*)));

    /// <summary>The edges that an action takes; null where it throws.</summary>
    public static HashSet<int>? Of(Action action)
    {
        var map = new Span<byte>(Map, Size);
        map.Clear();
        Trace.GetField("PrevLocation")!.SetValue(null, 0);
        try
        {
            action();
        }
        catch (Exception)
        {
            return null;
        }
        HashSet<int> edges = [];
        for (var i = 0; i < Size; i++)
            if (map[i] != 0)
                edges.Add(i);
        return edges;
    }
}
