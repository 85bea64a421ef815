//#each u AHEAD
        let c#u = c + #uu * WG_X;
//#each r ROWS
        let q#u_#r = low[row#r * p.low_stride + c#u];
//#if BITS5
        let h#u_#r = high[row#r * p.high_stride + c#u];
//#endif
//#if BITS6
        let h#u_#r_0 = high[row#r * p.high_stride + 2u * c#u];
        let h#u_#r_1 = high[row#r * p.high_stride + 2u * c#u + 1u];
//#endif
//#if BLOCKS
//#each g GROUPS
        let s#u_#r_#g = group_scale(row#r, c#u * VECTOR_QUADS / $GROUP_QUADSu + #gu);
//#end
//#endif
//#end
//#end
//#each u AHEAD
//#each g GROUPS
        {
//#each m COLUMNS
//#each r ROWS
            var part#r_#m = 0.0;
//#end
//#end
//#each w WORDS
//#each n NIBBLES
            {
                let j = c#u * VECTOR_QUADS + (#gu * WORDS + #wu) * NIBBLES + #nu;
//#each m COLUMNS
                let x#m = x[#mu * p.x_stride + j];
//#end
//#each r ROWS
                {
//#if F32
                    let v = q#u_#r;
//#endif
//#if F16
                    let v = from_f16(vec2<u32>(q#u_#r[#wu * 2u], q#u_#r[#wu * 2u + 1u]));
//#endif
//#if BF16
                    let v = from_bf16(vec2<u32>(q#u_#r[#wu * 2u], q#u_#r[#wu * 2u + 1u]));
//#endif
//#if BLOCKS
//#if BITS8
                    let v = levels(q#u_#r[#wu]);
//#else
                    var word = (q#u_#r[#gu * WORDS + #wu] >> (4u * #nu)) & 0x0f0f0f0fu;
//#if BITS5
                    word |= ((h#u_#r >> (2u * #wu + #nu)) & 0x01010101u) << 4u;
//#endif
//#if BITS6
                    word |= ((h#u_#r_#g >> (4u * #wu + 2u * #nu)) & 0x03030303u) << 4u;
//#endif
//#if MINS
                    // Taken off each level: off the sum of a group, most digits would cancel.
                    let v = fma(vec4<f32>(s#u_#r_#g.x), levels(word), vec4<f32>(-s#u_#r_#g.y));
//#else
                    let v = levels(word);
//#endif
//#endif
//#endif
//#each m COLUMNS
                    part#r_#m += dot(v, x#m);
//#end
                }
//#end
            }
//#end
//#end
//#each m COLUMNS
//#each r ROWS
//#if SCALE_LAST
            sum#r_#m = fma(s#u_#r_#g.x, part#r_#m, sum#r_#m);
//#else
            sum#r_#m += part#r_#m;
//#endif
//#end
//#end
        }
//#end
//#end
